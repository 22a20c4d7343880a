import { useEffect, useId, useState } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { call, Failure } from "../api/client";

/** How long what varies has to stay as it is before it is tried, in milliseconds: somebody is typing. */
const settle = 250;

interface Props {
  /** The button that asks, and the one that does it. */
  label: string;
  confirm: string;
  danger?: boolean;
  primary?: boolean;
  /** The key that opens it. */
  shortcut?: string;
  method: "POST" | "DELETE";
  path: string;
  /** What is sent, or how it is made of the reason, when the question opens and when it is answered. */
  body: Record<string, unknown> | ((why: string) => Promise<Record<string, unknown>>);
  /** What the body differs by while the question is open, so that the dry run is made again. */
  variant?: string;
  /** What it means, in a sentence or two. */
  children: ComponentChildren;
  /** The field of the body that keeps why, where there is one; a body that is made keeps it itself. */
  reason?: string;
  /** What the dry run says that it touches. */
  touches?: (answer: unknown) => ComponentChildren;
  done: (answer: unknown) => void;
}

/**
 * Ask is an action that asks before it is done: beside its button it says what it touches, as the hub's dry run tells it, and keeps a reason. What the
 * hub refuses then, it refuses in the dry run already.
 */
export function Ask({ label, confirm, danger = false, primary = false, shortcut, method, path, body, variant = "", children, reason, touches, done }: Props) {
  const [open, setOpen] = useState(false);
  const [why, setWhy] = useState("");
  const [tried, setTried] = useState<unknown>();
  const [failure, setFailure] = useState("");
  const [busy, setBusy] = useState(false);
  const id = useId();
  const send = async (dryRun: boolean) => {
    const made = typeof body === "function" ? await body(why) : { ...body, ...(reason && why ? { [reason]: why } : {}) };
    const all = { ...made, ...(dryRun ? { dryRun } : {}) };
    if (method === "POST") return call<unknown>("POST", path, all);
    const search = new URLSearchParams(Object.entries(all).map(([k, v]) => [k, String(v)])).toString();
    return call<unknown>("DELETE", `${path}?${search}`);
  };
  useEffect(() => {
    if (!open) return;
    let current = true;
    setTried(undefined);
    setFailure("");
    const attempt = () =>
      send(true).then(
        (answer) => current && setTried(answer),
        (e: unknown) => current && setFailure(e instanceof Failure ? e.message : String(e)),
      );
    const timer = setTimeout(() => void attempt(), variant ? settle : 0);
    return () => (clearTimeout(timer), void (current = false));
  }, [open, variant]);
  const act = async () => {
    setBusy(true);
    try {
      const answer = await send(false);
      setOpen(false);
      done(answer);
    } catch (e) {
      setFailure(e instanceof Failure ? e.message : String(e));
    }
    setBusy(false);
  };
  return (
    <div class="menu" onKeyDown={(e) => e.key === "Escape" && setOpen(false)}>
      <button class={`btn ${danger ? "danger" : primary ? "primary" : ""}`} aria-expanded={open} aria-controls={id} data-key={shortcut} onClick={() => setOpen(!open)}>
        {label} {shortcut && <kbd aria-hidden="true">{shortcut}</kbd>}
      </button>
      {open && (
        <div class="float ask" id={id} role="group" aria-label={label}>
          <div class="says">{children}</div>
          {tried !== undefined && touches?.(tried)}
          {failure && (
            <p class="msg" role="alert">
              {failure}
            </p>
          )}
          {reason && (
            <label>
              Reason
              <input class="field-in" value={why} onInput={(e) => setWhy(e.currentTarget.value)} />
            </label>
          )}
          <div class="buttons">
            <button class={`btn ${danger ? "danger" : "primary"}`} disabled={busy || tried === undefined || failure !== ""} onClick={() => void act()}>
              {confirm}
            </button>
            <button class="btn" onClick={() => setOpen(false)}>
              Leave it
            </button>
          </div>
        </div>
      )}
    </div>
  );
}
