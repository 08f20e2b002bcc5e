/** Does one thing at a time; of what comes meanwhile, only the last is kept. */
export class Latest<T> {
  private waiting: { item: T } | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private busy = false;

  constructor(private readonly work: (item: T) => Promise<void>) {}

  /** Do this next, in so many milliseconds at the earliest, in place of what is waiting. */
  push(item: T, delay = 0): void {
    this.drop();
    this.waiting = { item };
    if (delay > 0) this.timer = setTimeout(() => this.next(), delay);
    else this.next();
  }

  /** Forget what is waiting. */
  drop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.waiting = undefined;
  }

  private next(): void {
    this.timer = undefined;
    if (this.busy || !this.waiting) return;
    const { item } = this.waiting;
    this.waiting = undefined;
    this.busy = true;
    void this.work(item).finally(() => {
      this.busy = false;
      if (this.timer === undefined) this.next();
    });
  }
}
