import { count, partsOf } from "../words";
import type { PhaseCounts } from "../api/answers";

export interface Part {
  flag: string;
  word: string;
  n: number;
}

/** Bar is parts of a whole; it says them to who cannot see it. */
export function Bar({ parts, className = "" }: { parts: Part[]; className?: string }) {
  const text = parts.map((p) => `${count(p.n)} ${p.word}`).join(", ") || "none";
  return (
    <span class={`sbar ${className}`} role="img" aria-label={text} title={text}>
      {parts.map((p) => p.n > 0 && <i key={p.flag} class={`s-${p.flag}`} style={{ "--n": p.n }} />)}
    </span>
  );
}

/** Ready is a bar of phases, and how many of all are ready: never those of which it is not known. */
export function Ready({ counts, none }: { counts: PhaseCounts | undefined; none: string }) {
  if (!counts?.total) return <span class="dim">{none}</span>;
  return (
    <span class="ready-of">
      <Bar parts={partsOf(counts)} className="mini" />
      <span>
        {counts.stale === counts.total ? "?" : count(counts.ready)} / {count(counts.total)}
      </span>
    </span>
  );
}
