// What every part of the engine shares: the store, who we are, the servers we talk to, what the page is told.
import { Mls } from "../core/e2ee/mls.js"
import type { EngineEvent } from "./api.js"
import { Connection } from "./connection.js"
import { ServerHttp } from "./http.js"
import type { OwnIdentity } from "./own.js"
import { People } from "./people.js"
import type { Store } from "./store/store.js"
import { Pulse } from "./sync.js"

export class Context {
  private readonly connections = new Map<string, Connection>()
  private readonly stopping = new AbortController()
  readonly people: People
  /** Beats when deposits or uploads may wait. */
  readonly errands = new Pulse()
  onConnection: (connection: Connection) => void = () => undefined

  private constructor(
    readonly store: Store,
    readonly own: OwnIdentity,
    readonly emit: (event: EngineEvent) => void,
  ) {
    this.people = new People(store, (origin) => this.http(origin))
  }

  mls!: Mls

  static async open(store: Store, own: OwnIdentity, emit: (event: EngineEvent) => void): Promise<Context> {
    const context = new Context(store, own, emit)
    context.mls = await Mls.open({ checkMember: (identity, key) => context.people.check(identity, key) })
    return context
  }

  /** Aborts when the engine stops. */
  get signal(): AbortSignal {
    return this.stopping.signal
  }

  http(origin: string): ServerHttp {
    return new ServerHttp(origin)
  }

  /** The one connection to this server. */
  connection(origin: string): Connection {
    let connection = this.connections.get(origin)
    if (connection === undefined) {
      connection = new Connection(origin, (changed) => this.onConnection(changed))
      this.connections.set(origin, connection)
      connection.start()
    }
    return connection
  }

  retryNow(): void {
    this.connections.forEach((connection) => connection.retryNow())
  }

  /** Unix seconds by the home server's clock. */
  nowS(): number {
    return Math.floor(this.nowMs() / 1000)
  }

  nowMs(origin = this.own.origin): number {
    return Date.now() + (this.connections.get(origin)?.clockOffsetMs ?? 0)
  }

  stop(): void {
    this.stopping.abort()
    this.connections.forEach((connection) => connection.stop())
  }
}
