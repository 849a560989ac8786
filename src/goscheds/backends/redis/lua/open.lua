-- Uses prelude, foreign.
-- ARGV: the format of a client's code. Reply: the format that is stored, which is the first client's.
call('SET', PREFIX .. 'schema', ARGV[1], 'NX')
local schema = call('GET', PREFIX .. 'schema')
return is_number(schema) and schema or redis.error_reply('ERR ' .. PREFIX .. 'schema holds no number')
