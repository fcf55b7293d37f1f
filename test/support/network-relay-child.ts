// Holds a network namespace, and serves a port of its loopback from a socket in the file system, which no network reaches into.
import { connect, createServer } from 'node:net';

const [port, path = ''] = process.argv.slice(2);

createServer(client => {
  const server = connect(path);
  client.pipe(server).pipe(client);
  client.on('error', () => server.destroy()).on('close', () => server.destroy());
  server.on('error', () => client.destroy()).on('close', () => client.destroy());
}).listen(Number(port), '127.0.0.1', () => console.log('ready'));
