-- Many objects of unequal popularity. BENCH_WRK_PATHS names a file with a path and the length of its body on each line,
-- the most popular first; the one on line k is asked for with a weight of 1 / k ^ BENCH_WRK_SKEW (Zipf; 0: all alike).
-- The draws are the same in every run. The bodies asked for are added up for report.lua.
dofile(assert(os.getenv("BENCH_WRK_CLIENTS")) .. "/report.lua")

local requests, sums, sizes = {}, {}, {}
asked_bytes = 0

function init(arguments)
   local skew, sum = tonumber(os.getenv("BENCH_WRK_SKEW")), 0
   for line in io.lines(assert(os.getenv("BENCH_WRK_PATHS"))) do
      local path, size = line:match("^(%S+) (%d+)$")
      local number = #requests + 1
      sum = sum + number ^ -skew
      requests[number], sums[number], sizes[number] = wrk.format("GET", path), sum, tonumber(size)
   end
   math.randomseed(20)
end

-- The line whose share of the weights holds a draw.
function request()
   local draw, low, high = math.random() * sums[#sums], 1, #sums
   while low < high do
      local middle = math.floor((low + high) / 2)
      if sums[middle] < draw then low = middle + 1 else high = middle end
   end
   asked_bytes = asked_bytes + sizes[low]
   return requests[low]
end
