/**
 * Gives the event loop one turn, as cheaply as the host allows: pending messages and timers get through before the
 * promise resolves. (A timer would add 4 ms once nested; a microtask or scheduler.yield, whose continuation goes before
 * other tasks, would let no message through.)
 */
const waiting: (() => void)[] = [];
let channel: MessageChannel | undefined;

function open(): MessageChannel {
  const opened = new MessageChannel();
  opened.port1.onmessage = () => waiting.shift()?.();
  return opened;
}

export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === "function") {
      setImmediate(resolve);
    } else if (typeof scheduler === "object" && "postTask" in scheduler) {
      void scheduler.postTask(resolve);
    } else {
      channel ??= open();
      waiting.push(resolve);
      channel.port2.postMessage(undefined);
    }
  });
}
