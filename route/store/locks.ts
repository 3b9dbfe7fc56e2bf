/** What only one route at a time may do, across all routes of a store. */
export interface Locks {
  /** Take `name` for `holder`, or hold it on, unless another holds it. Whatever becomes of the holder, it is free after `ms`. */
  take(name: string, holder: string, ms: number): Promise<boolean>;
  /** Let go of it. One that another holds stays as it is. */
  release(name: string, holder: string): Promise<void>;
}
