-- Every request has a header block of its own, as from as many browsers.
local count = 0
request = function()
  count = count + 1
  wrk.headers["X-Number"] = tostring(count)
  return wrk.format("GET")
end
