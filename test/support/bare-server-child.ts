// An HTTP server of the library that nodes use, without any of theirs: everything is not found. Prints its port.
import Fastify from 'fastify';

const app = Fastify({ logger: false });
await app.listen({ host: '127.0.0.1', port: 0 });
console.log((app.server.address() as { port: number }).port);
