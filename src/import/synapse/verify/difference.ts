/** Something that is not here as Synapse has it. Never a token, a hash or an address. */
export interface Difference {
  /** What it is about: `access_tokens`, `users`, … */
  table: string
  /** Its key in Synapse. */
  key: string
  /** In words. */
  what: string
}

/** A sample that was compared. */
export interface Sample {
  checked: number
  differences: Difference[]
}
