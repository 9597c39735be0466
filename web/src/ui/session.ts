/** The session, for every component below the root. */

import { getContext, setContext } from "svelte"
import type { Session } from "../state/session.svelte.js"

const KEY = Symbol("session")

export function provideSession(session: Session): void {
  setContext(KEY, session)
}

export function useSession(): Session {
  return getContext<Session>(KEY)
}
