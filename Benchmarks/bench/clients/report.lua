-- What wrk saw, as one JSON object in the file that BENCH_WRK_REPORT names. Only `done` is defined: a request or
-- response function would cost the client a call for each request.
function done(summary, latency, requests)
   local report = assert(io.open(assert(os.getenv("BENCH_WRK_REPORT")), "w"))
   local errors = summary.errors
   report:write(string.format(
      '{"requests": %d, "bytes": %d, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f, ' ..
      '"errors": {"connect": %d, "read": %d, "write": %d, "timeout": %d, "status": %d}}\n',
      summary.requests, summary.bytes, summary.duration / 1e6,
      latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
      errors.connect, errors.read, errors.write, errors.timeout, errors.status))
   report:close()
end
