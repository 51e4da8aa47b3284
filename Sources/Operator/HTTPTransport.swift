// The API over HTTP. A token goes to the address it was given for and nowhere else: redirects are not followed, proxies of
// the environment are not asked.

import AsyncHTTPClient
import Glibc
import JSON
import Limits
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// One client of HTTP for the time of one command.
package struct HTTPTransport: Sendable {
    private let address: APIAddress
    private let token: Secret?
    private let client: HTTPClient

    private init(_ address: APIAddress, _ token: Secret?, _ client: HTTPClient) {
        self.address = address
        self.token = token
        self.client = client
    }

    /// Runs `body` with a transport to an address.
    ///
    /// - Parameters:
    ///   - token: Sent as `Authorization: Bearer`.
    ///   - authorities: A file of certificates that are trusted instead of the system's.
    /// - Throws: what `body` throws; `OperatorProblem` if the file cannot be used.
    package static func with<Result: Sendable>(
        _ address: APIAddress, token: Secret?, authorities: String? = nil,
        _ body: (@escaping APITransport) async throws -> Result
    ) async throws -> Result {
        let client = HTTPClient(
            eventLoopGroup: .singletonMultiThreadedEventLoopGroup, configuration: try configuration(authorities))
        let transport = HTTPTransport(address, token, client)
        do {
            let result = try await body { try await transport.reply(to: $0) }
            try? await client.shutdown()
            return result
        } catch {
            try? await client.shutdown()
            throw error
        }
    }

    private static func configuration(_ authorities: String?) throws -> HTTPClient.Configuration {
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow,
            timeout: .init(
                connect: .milliseconds(Limits.operatorConnectMilliseconds),
                read: .milliseconds(Limits.operatorRequestMilliseconds)),
            decompression: .disabled)
        configuration.httpVersion = .http1Only
        if let authorities {
            var tls = TLSConfiguration.makeClientConfiguration()
            do {
                let certificates = try NIOSSLCertificate.fromPEMFile(authorities)
                guard !certificates.isEmpty else { throw NIOSSLError.failedToLoadCertificate }
                tls.trustRoots = .certificates(certificates)
            } catch {
                throw OperatorProblem(
                    .input, "expected certificates in PEM in \(authorities), found none that can be read",
                    help: "name the file of the authority that issued the API's certificate")
            }
            configuration.tlsConfiguration = tls
        }
        return configuration
    }

    private func reply(to question: APIQuestion) async throws -> APIReply {
        var request = HTTPClientRequest(url: "\(address)\(question.target)")
        request.method = HTTPMethod(rawValue: question.method)
        request.headers.add(name: "accept", value: "application/json, text/plain")
        request.headers.add(name: "user-agent", value: "martlet")
        if let token { request.headers.add(name: "authorization", value: "Bearer \(token.text)") }
        switch question.body {
        case .none: break
        case .json(let value):
            request.headers.add(name: "content-type", value: "application/json")
            request.body = .bytes(ByteBuffer(bytes: value.bytes))
        case .bytes(let bytes, let type):
            request.headers.add(name: "content-type", value: type)
            request.body = .bytes(ByteBuffer(bytes: bytes))
        }
        do {
            let response = try await client.execute(
                request, timeout: .milliseconds(Limits.operatorRequestMilliseconds))
            let body = try await response.body.collect(upTo: Limits.operatorAnswerBytesMax)
            return APIReply(
                status: Int(response.status.code),
                type: (response.headers.first(name: "content-type") ?? "").lowercased(),
                body: Array(body.readableBytesView),
                retryAfterSeconds: response.headers.first(name: "retry-after").flatMap { Int($0) },
                location: response.headers.first(name: "location"))
        } catch is NIOTooManyBytesError {
            throw OperatorProblem(
                .answer, "\(address) answered with more than \(Limits.operatorAnswerBytesMax >> 20) MiB",
                help: "is this the API of a control plane?")
        } catch let error as CancellationError {
            throw error
        } catch {
            throw Self.problem(error, address)
        }
    }

    // MARK: No answer

    private static func problem(_ error: any Error, _ address: APIAddress) -> OperatorProblem {
        let (reason, help) = words(error)
        return OperatorProblem(
            .unreachable, "the API at \(address) cannot be reached: \(reason)", help: help ?? standardHelp)
    }

    private static let standardHelp =
        "does martlet control run there? Another address is named by --api, or for good by martlet login URL"

    private static func words(_ error: any Error) -> (reason: String, help: String?) {
        switch error {
        case let error as HTTPClientError:
            switch error {
            case .connectTimeout: return ("nobody took the connection in time", nil)
            case .tlsHandshakeTimeout: return ("TLS did not begin in time", "is it http:// instead of https://?")
            case .readTimeout, .deadlineExceeded, .getConnectionFromPoolTimeout:
                return ("no answer within \(Limits.operatorRequestMilliseconds / 1000) s", nil)
            case .remoteConnectionClosed: return ("the connection ended without an answer", nil)
            default: return (ScreenText.plain("\(error)"), nil)
            }
        case let error as NIOConnectionError:
            if let first = error.connectionErrors.first { return words(first.error) }
            return ("its name is not known", "is it spelt right? Does this machine resolve names?")
        case let error as IOError: return (String(cString: strerror(error.errnoCode)), nil)
        case is NIOSSLError, is NIOSSLExtraError, is BoringSSLError: return trouble(ofTLS: "\(error)")
        default: return (ScreenText.plain(String("\(error)".prefix(300))), nil)
        }
    }

    /// The library names its own sources, which help nobody here: what it means is told in words.
    private static func trouble(ofTLS text: String) -> (reason: String, help: String?) {
        let meanings = [
            ("WRONG_VERSION_NUMBER", "what answers there does not speak TLS", "is it http:// instead of https://?"),
            ("CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted", trustHelp),
            ("unableToValidateCertificate", "its certificate is not trusted", trustHelp),
            ("failedToValidateHostname", "its certificate is for another name", trustHelp),
            ("CERTIFICATE_REQUIRED", "it wants a certificate of its client", nil as String?),
        ]
        if let known = meanings.first(where: { text.contains($0.0) }) { return (known.1, known.2) }
        return ("the handshake of TLS failed", "is it http:// instead of https://? \(trustHelp)")
    }

    private static let trustHelp = "certificates of an authority of your own are named by --ca FILE"
}
