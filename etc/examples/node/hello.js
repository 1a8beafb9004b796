const http = require('http');

const server = http.createServer((request, response) => {
    const body = `hello, worker=${process.env.POOLD_WORKER} pid=${process.pid}\n`;
    response.setHeader('Content-Type', 'text/plain');
    response.setHeader('Content-Length', Buffer.byteLength(body));
    response.end(body);
});

// poold gives the listening socket as descriptor 3.
server.listen({ fd: 3 });

// Without this, TERM ends node at once, and the requests that it holds are lost.
process.on('SIGTERM', () => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
});
