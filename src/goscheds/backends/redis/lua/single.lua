-- The commonest push: one job, ready at once, of priority 0 and without unique key. It comes before all else, as building
-- the functions takes the server longer than storing the job does.
if ARGV[1] == '1' then
  local batch, call, prefix = ARGV[2], redis.call, KEYS[1] .. ':'
  local execute_at, delay, id_size, level, _, queue_size, unique_size, body = struct.unpack('>I8I8I2bI8I2I2', batch)
  if execute_at == 0 and delay == 0 and level == 0 and unique_size == 0 then
    local first = body + 14
    local id, queue = string.sub(batch, -id_size), string.sub(batch, first, first + queue_size - 1)
    local clock = call('TIME')
    local now = clock[1] * 1000000 + clock[2]
    local place = BEFORE_BACK .. BACK + call('INCR', prefix .. 'back')
    local head = struct.pack('>BBI8I8I4I8c16I8', READY, 0, 0, now, 0, now, place, now)
    if call('SET', prefix .. 'job:' .. id, head .. string.sub(batch, 19, -id_size - 1), 'NX') then
      local joined = redis.pcall('RPUSH', prefix .. 'queue:0:' .. queue, place .. id)
      if type(joined) == 'table' then -- somebody else has put something there
        call('UNLINK', prefix .. 'job:' .. id)
        return joined
      end
      call('HINCRBY', prefix .. 'counts', 'ready:' .. queue, 1)
    end
    return
  end
end

