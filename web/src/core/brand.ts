// Names for bytes that must not be taken for one another. A cast is the only way in: `bytes as StreamId`.
declare const brand: unique symbol

/** A `Base` that the compiler keeps apart from every other; at run time it is the `Base` itself. */
export type Brand<Base, Name extends string> = Base & { readonly [brand]: Name }
