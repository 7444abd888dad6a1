/** The stand-in as a program that takes the arguments of mongod which drills use. */
import { parseArgs } from 'node:util';
import { MongoStandIn } from './mongo-stand-in.ts';

const { values } = parseArgs({
  options: {
    version: { type: 'boolean' },
    dbpath: { type: 'string' },
    bind_ip: { type: 'string' },
    port: { type: 'string' },
    unixSocketPrefix: { type: 'string' },
  },
});
if (values.version) {
  console.log('db version v7.0.5\nBuild Info: {\n    "version": "7.0.5"\n}');
} else {
  await MongoStandIn.start({ standalone: true, socketPath: values.bind_ip });
}
