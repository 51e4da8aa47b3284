-- Each request makes a DNS record that there has not been, in one zone after the other. CONTROL_ZONES: their ids, with
-- commas between them; CONTROL_TOKEN; CONTROL_RUN: a word that sets this run's names apart.
local threads = {}

function setup(thread)
   thread:set("thread_number", #threads)
   table.insert(threads, thread)
end

function init(args)
   zones = {}
   for id in string.gmatch(os.getenv("CONTROL_ZONES"), "[^,]+") do table.insert(zones, id) end
   count = 0
   failed = 0
   headers = {
      ["Authorization"] = "Bearer " .. os.getenv("CONTROL_TOKEN"), ["Content-Type"] = "application/json",
   }
   run = os.getenv("CONTROL_RUN")
end

function request()
   count = count + 1
   local zone = zones[count % #zones + 1]
   local body = string.format(
      '{"type":"A","name":"%s-%d-%d","content":"192.0.2.%d","ttl":300}', run, thread_number, count, count % 256)
   return wrk.format("POST", "/client/v4/zones/" .. zone .. "/dns_records", headers, body)
end

function response(status, headers, body)
   if status ~= 200 then
      failed = failed + 1
      if failed == 1 then io.stderr:write(status .. " " .. body .. "\n") end
   end
end

function done(summary, latency, requests)
   local failed = 0
   for _, thread in ipairs(threads) do failed = failed + thread:get("failed") end
   local errors = summary.errors
   io.write(string.format(
      'JSON {"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "failed": %d}\n',
      summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
      failed + errors.connect + errors.read + errors.write + errors.timeout))
end
