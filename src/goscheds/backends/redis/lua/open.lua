-- Uses prelude, foreign.
-- ARGV: the format of a client's code. Reply: the format that is stored, which is the first client's.
local schema = call('GET', PREFIX .. 'schema')
if not schema then -- a server that is full refuses to write it, and has workers that start
  schema = ARGV[1]
  call('SET', PREFIX .. 'schema', schema)
end
return is_number(schema) and schema or redis.error_reply('ERR ' .. PREFIX .. 'schema holds no number')
