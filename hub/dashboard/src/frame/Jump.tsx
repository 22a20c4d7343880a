import { useEffect, useRef, useState } from "preact/hooks";
import { query } from "../api/client";
import { useQuery } from "../api/query";
import type { Bundle, Cluster } from "../api/answers";
import { go } from "../location";
import { Flag } from "../parts/Flag";
import { views } from "../views";
import { wordOf } from "../words";
import { Dialog } from "./Dialog";
import { jumping, places } from "./keys";

/** How many clusters and bundles are offered. */
const offered = 6;

interface Target {
  href: string;
  title: string;
  kind: string;
  state?: string;
}

/** Jump goes to anything that is named. */
export const Jump = () => (
  <Dialog open={jumping} label="Jump to">
    <Search />
  </Dialog>
);

function Search() {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);
  const targets = useTargets(text.toLowerCase().replace(/[^a-z0-9.-]/g, ""));
  useEffect(() => document.getElementById(`target-${at}`)?.scrollIntoView({ block: "nearest" }), [at]);
  const jump = (t: Target | undefined) => {
    if (!t) return;
    // At once: what is shown next takes the focus, and could not from a dialog that is open.
    jumping.value = false;
    input.current?.closest("dialog")?.close();
    go(t.href);
  };
  const keys = (e: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[e.key];
    if (step) {
      e.preventDefault();
      setAt(Math.max(0, Math.min(targets.length - 1, at + step)));
    }
    if (e.key === "Enter") jump(targets[at]);
  };
  return (
    <>
      <label class="sr" for="jump">
        Jump to a cluster, a bundle or a page
      </label>
      <input
        id="jump"
        ref={input}
        class="field-in"
        placeholder="A cluster, a bundle or a page"
        autocomplete="off"
        role="combobox"
        aria-expanded="true"
        aria-controls="targets"
        aria-activedescendant={targets[at] && `target-${at}`}
        onInput={(e) => (setText(e.currentTarget.value), setAt(0))}
        onKeyDown={keys}
      />
      <ul id="targets" class="targets" role="listbox" aria-label="Found">
        {targets.map((t, i) => (
          <li key={t.href} id={`target-${i}`} role="option" aria-selected={i === at} onClick={() => jump(t)}>
            <span class="st">
              {t.state && (
                <>
                  <Flag state={t.state} />
                  <span class="sr">{wordOf(t.state)}</span>
                </>
              )}
            </span>
            <span class="m ink cut">{t.title}</span>
            <span class="dim">{t.kind}</span>
          </li>
        ))}
      </ul>
      <p class="dim" role="status">
        {targets.length === 0 && "Nothing is called so."}
      </p>
    </>
  );
}

function useTargets(text: string): Target[] {
  const search = (kind: string) => (text ? query(`/v1/${kind}`, { filter: `name=*${text}*`, pageSize: offered }) : "");
  const clusters = useQuery<{ clusters?: Cluster[] }>(search("clusters")).data?.clusters ?? [];
  const bundles = useQuery<{ bundles?: Bundle[] }>(search("bundles")).data?.bundles ?? [];
  // What is shown until the newest answer is here is one to less of the text: Enter goes to nothing that does not match all of it.
  const matches = ({ metadata }: Cluster | Bundle) => text !== "" && metadata.name.includes(text);
  const kept = views.value.filter((v) => v.name.toLowerCase().includes(text));
  const pages = Object.values(places).filter(([, title]) => title.toLowerCase().includes(text));
  return [
    ...clusters.filter(matches).map((c) => ({ href: `/clusters/${c.metadata.name}`, title: c.metadata.name, kind: "cluster", state: c.status.state })),
    ...bundles.filter(matches).map((b) => ({ href: `/bundles/${b.metadata.name}`, title: b.metadata.name, kind: "bundle" })),
    ...kept.map(({ href, name }) => ({ href, title: name, kind: "view" })),
    ...pages.map(([href, title]) => ({ href, title, kind: "page" })),
  ];
}
