import Foundation
import Glibc

/// A real nginx as an origin, from Debian's package, on a port and in a directory of its own.
final class NginxOrigin {
    let port: Int
    let process: ChildProcess
    /// Where its files are served from.
    let root: URL

    /// - Parameters:
    ///   - server: lines inside `server { }`.
    ///   - tls: serve TLS with this certificate.
    init(on stage: Stage, tls: Stage.Identity? = nil, server: String) throws {
        port = try Ports.pick()
        let prefix = stage.directory.appending(path: stage.unique("nginx"))
        root = prefix.appending(path: "html")
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
        let certificate = tls.map { "ssl_certificate \($0.certificate); ssl_certificate_key \($0.key);" } ?? ""
        // Workers of a master that runs as root could not read a stage's directory as `nobody`.
        let user = getuid() == 0 ? "user root;" : ""
        let text = """
            \(user)
            worker_processes 1;
            daemon off;
            pid \(prefix.path)/nginx.pid;
            error_log \(prefix.path)/error.log info;
            events { worker_connections 512; }
            http {
                access_log \(prefix.path)/access.log;
                client_body_temp_path \(prefix.path)/body;
                proxy_temp_path \(prefix.path)/proxy;
                fastcgi_temp_path \(prefix.path)/fastcgi;
                uwsgi_temp_path \(prefix.path)/uwsgi;
                scgi_temp_path \(prefix.path)/scgi;
                server {
                    listen 127.0.0.1:\(port)\(tls == nil ? "" : " ssl");
                    \(certificate)
                    root \(root.path);
                    \(server)
                }
            }
            """
        let file = prefix.appending(path: "nginx.conf")
        try text.write(to: file, atomically: true, encoding: .utf8)
        let program = FileManager.default.isExecutableFile(atPath: "/usr/sbin/nginx") ? "/usr/sbin/nginx" : "nginx"
        process = try stage.start([program, "-p", prefix.path, "-e", "\(prefix.path)/error.log", "-c", file.path])
        let (port, process) = (port, process)
        let isUp = eventually(within: Patience.process) {
            process.exitStatus != nil || (try? Wire.connect(port: port)) != nil
        }
        guard isUp, process.exitStatus == nil else { throw Edge.NotReady(description: "nginx: \(process.errors)") }
    }
}

extension Stage {
    func nginx(tls: Identity? = nil, server: String = "") throws -> NginxOrigin {
        try NginxOrigin(on: self, tls: tls, server: server)
    }
}
