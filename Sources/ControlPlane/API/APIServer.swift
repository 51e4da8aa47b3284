// The API's socket: Hummingbird reads requests and writes answers, `APIService` does the rest below `/client/v4`, and
// `Dashboard` everywhere else.

import HTTPTypes
import Hummingbird
import Limits
package import Logging
import NIOCore
import ServiceLifecycle

/// Serves the API on one address until its task is cancelled.
package struct APIServer: Sendable {
    private let service: APIService
    private let host: String
    private let port: Int
    private let log: Logger
    private let onStart: @Sendable (Int) async -> Void

    /// - Parameters:
    ///   - port: 0 takes any that is free.
    ///   - onStart: Called with the port once it listens.
    package init(
        _ service: APIService, host: String, port: Int, log: Logger,
        onStart: @escaping @Sendable (Int) async -> Void = { _ in }
    ) {
        self.service = service
        self.host = host
        self.port = port
        self.log = log
        self.onStart = onStart
    }

    package func run() async throws {
        let onStart = self.onStart
        let application = Application(
            responder: Responder(service: service, dashboard: Dashboard(service)),
            server: .http1(
                configuration: .init(idleTimeout: .seconds(Limits.apiIdleSeconds))),
            configuration: ApplicationConfiguration(address: .hostname(host, port: port), serverName: nil),
            onServerRunning: { channel in await onStart(channel.localAddress?.port ?? 0) }, logger: log)
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [.init(service: application)], gracefulShutdownSignals: [], logger: log))
        // Not within this task: cancelled as well as told to stop, the server would be closed twice.
        let running = Task.detached { try await group.run() }
        try await withTaskCancellationHandler {
            try await running.value
        } onCancel: {
            Task { await group.triggerGracefulShutdown() }
        }
    }
}

/// What Hummingbird knows of a connection: the client's address.
private struct Context: RequestContext {
    var coreContext: CoreRequestContextStorage
    let address: String?

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        address = source.channel.remoteAddress?.ipAddress
    }
}

private struct Responder: HTTPResponder {
    let service: APIService
    let dashboard: Dashboard

    func respond(to request: Request, context: Context) async throws -> Response {
        var fields = APIFields()
        for name in ["authorization", "x-auth-key", "x-auth-email", "content-type"] + Dashboard.fields {
            if let field = HTTPField.Name(name) { fields[name] = request.headers[field] }
        }
        // `:authority` is what a Host field becomes.
        fields["host"] = request.head.authority
        let target = request.head.path ?? ""
        var asked = APIRequest(
            method: request.method.rawValue, target: target, fields: fields, address: context.address)
        // HEAD is GET whose body is kept to oneself.
        if request.method == .head { asked.method = "GET" }
        let isForAPI = target.hasPrefix(APIService.root)
        let bytesMax =
            isForAPI
            ? service.bodyBytesMax(method: asked.method, target: target) : dashboard.bodyBytesMax(asked)
        do throws(APIError) {
            asked.body = try await body(of: request, bytesMax)
        } catch {
            return Self.response(isForAPI ? service.refusal(error) : dashboard.tooLarge(asked))
        }
        var response = Self.response(isForAPI ? await service.answer(asked) : await dashboard.answer(asked))
        if request.method == .head { response = response.createHeadResponse() }
        return response
    }

    private func body(of request: Request, _ bytesMax: Int) async throws(APIError) -> [UInt8] {
        do {
            return Array(try await request.body.collect(upTo: bytesMax).readableBytesView)
        } catch is NIOTooManyBytesError {
            throw .bodyTooLarge
        } catch {
            throw .bodyIncomplete
        }
    }

    private static func response(_ answer: APIResponse) -> Response {
        var fields = HTTPFields()
        fields[.contentType] = answer.type
        fields[.cacheControl] = "no-store"
        for (name, value) in answer.fields { if let name = HTTPField.Name(name) { fields[name] = value } }
        let body = answer.body.isEmpty ? ResponseBody() : ResponseBody(byteBuffer: ByteBuffer(bytes: answer.body))
        return Response(status: .init(code: answer.status), headers: fields, body: body)
    }
}
