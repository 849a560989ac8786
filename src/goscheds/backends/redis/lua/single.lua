-- The commonest push: one job, ready at once, of priority 0 and without unique key. It comes before all else, as building
-- the functions takes the server longer than storing the job does.
if ARGV[1] == '1' then
  local batch, call, prefix = ARGV[2], redis.call, KEYS[1] .. ':'
  local execute_at, delay, level, _, queue_size, unique_size, name_size, payload_size, meta_size, _, body =
    struct.unpack('>I8I8bI8I2I2I2I4I4I2', batch)
  if execute_at == 0 and delay == 0 and level == 0 and unique_size == 0 then
    local last = body + queue_size + name_size + payload_size + meta_size
    local id, queue = string.sub(batch, last), string.sub(batch, body, body + queue_size - 1)
    local clock = call('TIME')
    local now = clock[1] * 1000000 + clock[2]
    local place = string.format('%.0f', MIDDLE + call('INCR', prefix .. 'back'))
    local head = struct.pack(HEAD, READY, 0, 0, place, now, now, now, 0, 0)
    local numbers, texts = string.sub(batch, 17, body - 3), string.sub(batch, body, last - 1)
    if call('SET', prefix .. 'job:' .. id, head .. numbers .. texts, 'NX') then
      call('RPUSH', prefix .. 'queue:0:' .. queue, place .. id)
      call('HINCRBY', prefix .. 'counts', 'ready:' .. queue, 1)
    end
    return
  end
end

