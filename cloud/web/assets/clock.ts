// The server's time as this page knows it: a wrong clock on a phone must not make old values look fresh.

let offsetMs = 0;

/** UTC milliseconds by the server's clock. */
export function serverNowMs(): number {
  return Date.now() + offsetMs;
}

/** Take over the server's time as just received; network delay makes values look older, never younger. */
export function setServerNow(utcMs: number): void {
  if (Number.isFinite(utcMs)) offsetMs = utcMs - Date.now();
}
