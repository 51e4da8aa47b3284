import Glibc
import Operator

/// The person at the other end, if there is one.
enum Terminal {
    /// Columns of the terminal that standard output is; nil where it is none.
    static var width: Int? {
        guard isatty(STDOUT_FILENO) == 1 else { return nil }
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return Int(size.ws_col)
    }

    /// Asks before something is done that cannot be undone.
    ///
    /// - Throws: `OperatorProblem` if the answer is no, or if nobody can be asked.
    static func confirm(_ what: String, isAgreed: Bool) throws {
        guard !isAgreed else { return }
        guard isatty(STDIN_FILENO) == 1 else {
            throw OperatorProblem(
                .input, "to \(what) needs --yes where nobody can be asked", help: "--dry-run shows what would be done")
        }
        StandardError.write(ScreenText.plain("\(what.prefix(1).uppercased())\(what.dropFirst())?") + " [y/N] ")
        let answer = (readLine() ?? "").lowercased()
        guard answer == "y" || answer == "yes" else { throw OperatorProblem(.stopped, "nothing was changed") }
    }

    /// Reads a line that nobody else shall see. Ctrl-C and Ctrl-D leave the terminal as it was.
    ///
    /// - Throws: `OperatorProblem` if it was broken off.
    static func secret(_ prompt: String) throws -> String {
        var before = termios()
        guard tcgetattr(STDIN_FILENO, &before) == 0 else { return readLine() ?? "" }
        var silent = before
        // Signals of keys too: whoever breaks off here must find their terminal as it was.
        silent.c_lflag &= ~tcflag_t(ECHO | ICANON | ISIG)
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent)
        // Not before: what was typed behind the prompt would be flushed.
        StandardError.write(prompt)
        defer {
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &before)
            StandardError.write("\n")
        }
        var bytes: [UInt8] = []
        while true {
            var byte: UInt8 = 0
            let count = read(STDIN_FILENO, &byte, 1)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            switch byte {
            case 0x0a, 0x0d: return String(decoding: bytes, as: UTF8.self)
            case 0x03, 0x04, 0x1a, 0x1c: throw OperatorProblem(.stopped, "broken off; nothing was changed")
            case 0x08, 0x7f: _ = bytes.popLast()
            // Ctrl-U
            case 0x15: bytes = []
            default: if bytes.count < 4096 { bytes.append(byte) }
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
