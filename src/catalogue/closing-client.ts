/** Connections of a pool that do not outlive their failure. */
import type pg from 'pg';

type Connected = (error: Error | null) => void;

/**
 * Clients for `new pg.Pool({ Client })`. What goes wrong on this side while one signs in (a password that is asked for and is
 * not there) leaves its connection open, and the pool forgets the client: until the server ends it a minute later it takes
 * one of the server's places, and keeps this process from ending.
 */
export function closingClient(Client: typeof pg.Client): typeof pg.Client {
  function Closing(options: pg.ClientConfig): pg.Client {
    const client = new Client(options);
    const connect = client.connect.bind(client) as (then: Connected) => void;
    const connectOrEnd = (then: Connected): void =>
      connect((error) => {
        then(error);
        if (error) client.end().catch(() => undefined); // the error that matters is told
      });
    return Object.assign(client, { connect: connectOrEnd });
  }
  return Closing as unknown as typeof pg.Client;
}
