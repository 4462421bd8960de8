/** A helper thread did not do its part: what the walk has computed is incomplete. */
export class HelperLost extends Error {}
