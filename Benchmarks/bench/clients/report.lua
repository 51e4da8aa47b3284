-- What wrk saw, as one JSON object in the file that BENCH_WRK_REPORT names. Neither `request` nor `response` is defined
-- here: such a function would cost the client a call for each request.
local threads = {}

function setup(thread)
   table.insert(threads, thread)
end

function done(summary, latency, requests)
   local report = assert(io.open(assert(os.getenv("BENCH_WRK_REPORT")), "w"))
   local errors = summary.errors
   -- What scripts that choose their own requests have asked for, the last and unanswered ones too.
   local asked = 0
   for _, thread in ipairs(threads) do asked = asked + (thread:get("asked_bytes") or 0) end
   report:write(string.format(
      '{"requests": %d, "bytes": %d, "asked_bytes": %.0f, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f, ' ..
      '"errors": {"connect": %d, "read": %d, "write": %d, "timeout": %d, "status": %d}}\n',
      summary.requests, summary.bytes, asked, summary.duration / 1e6,
      latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
      errors.connect, errors.read, errors.write, errors.timeout, errors.status))
   report:close()
end
