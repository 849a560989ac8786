-- Uses prelude.
-- Reply: '<state>:<queue>' and its number of jobs, alternating; the paused queues.
return {call('HGETALL', PREFIX .. 'counts'), call('SMEMBERS', PREFIX .. 'paused')}
