/** TCP that fails as it is told to. */
import { tcp } from "../../../client/sdk/tcp.ts";
import type { Dial, Transport } from "../../../client/sdk/transport.ts";

export class Faulty {
  dials = 0;
  /** Bytes from the server are lost, and so is the connection with them. */
  deaf = false;
  #open = new Set<() => void>();

  readonly dial: Dial = async (server, events, signal) => {
    this.dials++;
    let transport: Transport | null = null;
    let ended = false;
    const cut = () => {
      ended = true;
      this.#open.delete(cut);
      transport?.close();
      events.closed("cut");
    };
    const opened = await tcp(
      server,
      {
        data: (bytes) => {
          if (this.deaf && transport) cut();
          else if (!ended) events.data(bytes);
        },
        closed: (why) => {
          this.#open.delete(cut);
          if (!ended) events.closed(why);
        },
      },
      signal,
    );
    transport = opened;
    this.#open.add(cut);
    return {
      write: (bytes) => opened.write(bytes),
      close: () => {
        this.#open.delete(cut);
        opened.close();
      },
    };
  };

  /** Loses every connection, and what is on its way to the client. */
  cut(): void {
    for (const cut of [...this.#open]) cut();
  }
}
