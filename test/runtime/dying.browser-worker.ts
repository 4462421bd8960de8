/** The runtime's own worker, which closes itself when a test says so: no event tells its page. */
import "../../runtime/worker/host.ts";

new BroadcastChannel("leafcutter-test").addEventListener("message", () => self.close());
