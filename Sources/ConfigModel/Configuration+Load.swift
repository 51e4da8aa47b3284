// The only road from a file to a `Configuration`.

import Glibc
import Limits

extension Configuration {
    /// A configuration that may be used, and what should be looked at nevertheless.
    package struct Loaded: Sendable {
        package var configuration: Configuration
        /// In the file's order.
        package var warnings: [ConfigurationProblem]
    }

    /// Whether the files that a configuration names are looked at.
    package enum FileCheck: Sendable {
        /// Certificates, keys and roots must be readable and look like PEM; a key for all to read is a warning.
        case onDisk
        /// Nothing is opened: for tests and for machines other than the one that will serve.
        case none
    }

    /// Reads, checks and completes a configuration file. Relative paths in it count from its directory.
    ///
    /// - Parameters:
    ///   - path: the file; `/dev/stdin` works.
    ///   - needsZones: false for an edge, whose zones the control plane has.
    /// - Throws: every problem found.
    package static func load(
        path: String, checking files: FileCheck = .onDisk, needsZones: Bool = true
    ) throws(ConfigurationError) -> Loaded {
        try parse(
            text: text(ofFile: path), path: path, directory: directory(of: path), checking: files,
            needsZones: needsZones)
    }

    /// What a file says, as long as it is text of a bearable size.
    ///
    /// - Parameter option: what the command names it by.
    static func text(ofFile path: String, option: String = "-c FILE") throws(ConfigurationError) -> String {
        let bytes: [UInt8]
        let empty = SourceText(file: path, text: "")
        do {
            bytes = try BoundedFile.read(path, bytesMax: Limits.configurationFileBytesMax)
        } catch .tooLarge {
            throw ConfigurationError(problems: [ConfigurationDocument.tooLarge(empty)])
        } catch {
            let help = "the file is named by \(option)"
            let problem = empty.problem(
                .error, at: .wholeFile, "expected a readable file, found: \(error.text)", help: help
            )
            throw ConfigurationError(problems: [problem])
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            // What could be read marks the place: replacement characters begin where decoding failed.
            let repaired = SourceText(file: path, text: String(decoding: bytes, as: UTF8.self))
            let offset = repaired.text.utf8.count > 0 ? BoundedFile.firstDifference(bytes, repaired.text.utf8) : 0
            let problem = repaired.problem(
                .error, at: repaired.place(ofByte: offset), "expected UTF-8, found other bytes",
                help: "save the file as UTF-8"
            )
            throw ConfigurationError(problems: [problem])
        }
        return text
    }

    /// Reads, checks and completes the text of a configuration file.
    ///
    /// - Parameters:
    ///   - path: the name that problems carry.
    ///   - directory: absolute; relative paths count from it.
    /// - Throws: every problem found.
    package static func parse(
        text: String, path: String, directory: String, checking files: FileCheck = .onDisk, needsZones: Bool = true
    ) throws(ConfigurationError) -> Loaded {
        let source = SourceText(file: path, text: withoutMark(text))
        var reader = ConfigurationReader(source: source, directory: directory, files: files)
        reader.needsZones = needsZones
        var configuration = Configuration()
        do {
            configuration = try reader.read(ConfigurationDocument.compose(source))
        } catch {
            reader.problems.append(error)
            reader.errorCount += 1
        }
        let problems = reader.problems.sorted { ($0.line, $0.column) < ($1.line, $1.column) }
        guard reader.errorCount == 0 else {
            let kept = problems.count { $0.severity == .error }
            throw ConfigurationError(problems: problems, omittedCount: reader.errorCount - kept)
        }
        return Loaded(configuration: configuration, warnings: problems)
    }

    /// A byte order mark is no text, but YAML would count it as a column.
    static func withoutMark(_ text: String) -> String {
        text.unicodeScalars.first == "\u{FEFF}" ? String(text.unicodeScalars.dropFirst()) : text
    }

    /// The absolute directory that holds a file. Links are not followed: a file that is a link into a versioned
    /// directory, as container platforms mount them, belongs where it is seen.
    static func directory(of path: String) -> String {
        let parent = path.lastIndex(of: "/").map { String(path[..<$0]) }
        if path.hasPrefix("/") { return parent.flatMap { $0.isEmpty ? nil : $0 } ?? "/" }
        var here = "/"
        if let name = getcwd(nil, 0) {
            here = String(cString: name)
            free(name)
        }
        guard let parent, parent != "." else { return here }
        return here == "/" ? "/\(parent)" : "\(here)/\(parent)"
    }
}

/// Reads files that may be larger than anyone wants, or not be files at all.
enum BoundedFile {
    enum Failure: Error {
        case tooLarge
        /// From errno.
        case unreadable(Int32)

        var text: String {
            switch self {
            case .tooLarge: "a file that is too large"
            case .unreadable(let code): strerror(code).map { String(cString: $0) } ?? "error \(code)"
            }
        }
    }

    /// All bytes of a file.
    static func read(_ path: String, bytesMax: Int) throws(Failure) -> [UInt8] {
        guard !path.utf8.contains(0) else { throw .unreadable(EINVAL) }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .unreadable(errno) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 * 1024)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .unreadable(errno) }
            if count == 0 { return bytes }
            guard bytes.count + count <= bytesMax else { throw .tooLarge }
            bytes.append(contentsOf: chunk.prefix(count))
        }
    }

    /// Whether a file's mode lets everybody read it.
    static func isReadableByAll(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IROTH != 0
    }

    static func firstDifference(_ first: [UInt8], _ second: String.UTF8View) -> Int {
        zip(first, second).enumerated().first { $0.element.0 != $0.element.1 }?.offset ?? min(first.count, second.count)
    }
}
