-- Uses prelude, lines, front.
-- Pauses or resumes a queue. ARGV: queue, '1' to pause.
local queue, pausing = ARGV[1], ARGV[2] == '1'
go_on_when_full()
call(pausing and 'SADD' or 'SREM', PREFIX .. 'paused', queue)
if not pausing then pass_on(queue) end
