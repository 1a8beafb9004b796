# A thread waits for the request of each connection that puma has accepted. Else puma keeps those that
# have said nothing yet in a queue, and closes them when it is told to leave.
queue_requests false
