/** Commands sent ahead of their replies, and every reply looked at. Memory: two batches. */
import type { HoldfastError } from '../../base/errors.ts';
import { type Argument, type Connection, ErrorReply, type Reply } from '../../protocols/redis/connection.ts';

export interface Command {
  readonly parts: readonly Argument[];
  /** What it is about, for errors. */
  readonly about: string;
  /** Looks at a reply that is no error. */
  readonly reply?: (reply: Reply) => void;
}

const batchCommands = 500;
const batchBytes = 1 << 20;

export class Pipeline {
  readonly #connection: Connection;
  readonly #refused: (command: Command, reply: ErrorReply) => HoldfastError;
  #batch: Command[] = [];
  #batchBytes = 0;
  #sent: Command[] = [];

  constructor(connection: Connection, refused: (command: Command, reply: ErrorReply) => HoldfastError) {
    this.#connection = connection;
    this.#refused = refused;
  }

  /** Resolves when there is room for the next; rejects with the first command that was refused. */
  async send(command: Command): Promise<void> {
    this.#batch.push(command);
    for (const part of command.parts) this.#batchBytes += part instanceof Uint8Array ? part.byteLength : 8;
    if (this.#batch.length >= batchCommands || this.#batchBytes >= batchBytes) await this.#turn();
  }

  /** Every command was answered. */
  async finish(): Promise<void> {
    await this.#turn();
    await this.#turn();
  }

  /** Sends this batch, then reads what the one before it was answered: the server always has something to do. */
  async #turn(): Promise<void> {
    const batch = this.#batch;
    this.#batch = [];
    this.#batchBytes = 0;
    for (const { parts } of batch) await this.#connection.send(...parts);
    const answered = this.#sent;
    this.#sent = batch;
    for (const command of answered) {
      const reply = await this.#connection.reply();
      if (reply instanceof ErrorReply) throw this.#refused(command, reply);
      command.reply?.(reply);
    }
  }
}
