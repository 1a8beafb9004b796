run lambda { |_environment|
  body = "hello, worker=#{ENV['POOLD_WORKER']} pid=#{Process.pid}\n"
  [200, { 'Content-Type' => 'text/plain', 'Content-Length' => body.bytesize.to_s }, [body]]
}
