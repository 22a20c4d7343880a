import { useEffect, useState } from "preact/hooks";
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { call, Failure } from "../api/client";
import { Menu } from "./Menu";
import { Shell } from "./Note";

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
  /** The command that does the same, for this reason. */
  command?: string | ((why: string) => string);
  /** The field of the body that keeps why, where there is one; a body that is made keeps it itself. */
  reason?: string;
  /** Whether the hub wants to hear why; until then nothing is tried. */
  needed?: boolean;
  /** What the dry run says that it touches. */
  touches?: (answer: unknown) => ComponentChildren;
  done: (answer: unknown) => void;
  /** What the button says for a moment once it is done, where the page does not show it at once. */
  told?: string;
}

/** How long that is, in milliseconds. */
const shown = 3000;

/**
 * Ask is an action that asks before it is done: beside its button it says what it touches, as the hub's dry run tells it, and keeps a reason. What the
 * hub refuses then, it refuses in the dry run already.
 */
export function Ask({ label, confirm, danger = false, primary = false, shortcut, method, path, body, variant = "", children, command, reason, needed = false, touches, done, told = "" }: Props) {
  const open = useSignal(false);
  const [why, setWhy] = useState("");
  const [tried, setTried] = useState<unknown>();
  const [failure, setFailure] = useState("");
  const [busy, setBusy] = useState(false);
  const [acted, setActed] = useState(false);
  const send = async (dryRun: boolean) => {
    const made = typeof body === "function" ? await body(why) : { ...body, ...(reason && why ? { [reason]: why } : {}) };
    const all = { ...made, ...(dryRun ? { dryRun } : {}) };
    if (method === "POST") return call<unknown>("POST", path, all);
    const search = new URLSearchParams(Object.entries(all).map(([k, v]) => [k, String(v)])).toString();
    return call<unknown>("DELETE", `${path}?${search}`);
  };
  const differs = needed ? `${variant}${why}` : variant;
  useEffect(() => {
    if (!open.value) return;
    let current = true;
    setTried(undefined);
    setFailure("");
    if (needed && !why) return;
    const attempt = () =>
      send(true).then(
        (answer) => current && setTried(answer),
        (e: unknown) => current && setFailure(e instanceof Failure ? e.message : String(e)),
      );
    const timer = setTimeout(() => void attempt(), differs ? settle : 0);
    return () => (clearTimeout(timer), void (current = false));
  }, [open.value, differs]);
  const act = async () => {
    if (busy) return;
    setBusy(true);
    try {
      const answer = await send(false);
      open.value = false;
      done(answer);
      setActed(true);
      setTimeout(() => setActed(false), shown);
    } catch (e) {
      setFailure(e instanceof Failure ? e.message : String(e));
    }
    setBusy(false);
  };
  return (
    <Menu open={open} label={label} button={acted && told ? told : undefined} said={acted ? told : ""} buttonClass={`btn ${danger ? "danger" : primary ? "primary" : ""}`} shortcut={shortcut} className="ask">
      <div class="says">
        {children}
        {command && <Shell command={typeof command === "string" ? command : command(why)} />}
      </div>
      <div class="says" role="status">
        {tried !== undefined && touches?.(tried)}
      </div>
      {failure && (
        <p class="msg" role="alert">
          {failure}
        </p>
      )}
      {reason && (
        <label>
          Reason
          <input class="field-in" required={needed} value={why} onInput={(e) => setWhy(e.currentTarget.value)} />
        </label>
      )}
      <div class="buttons">
        <button class={`btn ${danger ? "danger" : "primary"}`} disabled={tried === undefined || failure !== ""} onClick={() => void act()}>
          {confirm}
        </button>
        <button class="btn" onClick={() => (open.value = false)}>
          Leave it
        </button>
      </div>
    </Menu>
  );
}
