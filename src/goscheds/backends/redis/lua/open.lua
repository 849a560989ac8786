-- Uses prelude.
-- ARGV: the format of a client's code. Reply: the format that is stored, which is the first client's.
call('SET', PREFIX .. 'schema', ARGV[1], 'NX')
return call('GET', PREFIX .. 'schema')
