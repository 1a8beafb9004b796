<?php
header('Content-Type: text/plain');
$body = 'hello, worker=' . getenv('POOLD_WORKER') . ' pid=' . getmypid() . "\n";
header('Content-Length: ' . strlen($body));
echo $body;
