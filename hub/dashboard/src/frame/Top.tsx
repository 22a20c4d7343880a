import { ends, session, signOut } from "../api/session";
import { useEffect, useRef } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { place } from "../location";
import { Menu } from "../parts/Menu";
import { toggleTheme } from "../theme";
import { exact } from "../time";
import { jumping } from "./keys";
import { useMay } from "./useMay";
import type { Hub } from "../api/answers";

const screens = [
  ["/", "Fleet"],
  ["/clusters", "Clusters"],
  ["/bundles", "Bundles"],
  ["/rollouts", "Rollouts"],
  ["/problems", "Problems"],
  ["/drift", "Drift"],
  ["/activity", "Activity"],
  ["/access", "Access"],
] as const;

/** Top is the bar above each page: where one is, where one can go, and who one is. */
export function Top({ hub }: { hub: Hub | undefined }) {
  const path = place.value.path;
  const current = (href: string) => (href === "/" ? path === "/" : path === href || path.startsWith(`${href}/`));
  const nav = useRef<HTMLElement>(null);
  // In a narrow window, where not all of them have room.
  useEffect(() => {
    const [all, here] = [nav.current?.getBoundingClientRect(), nav.current?.querySelector("[aria-current]")?.getBoundingClientRect()];
    if (nav.current && all && here) nav.current.scrollLeft += here.left - all.left - (all.width - here.width) / 2;
  }, [path]);
  return (
    <header class="top">
      <a class="lockup" href="/">
        Yardarm
      </a>
      <span class="hub" title={hub && `fleet ${hub.fleet}, hub ${hub.version}`}>
        {location.hostname}
      </span>
      <nav class="nav" ref={nav} aria-label="Main">
        {screens.map(([href, title]) => (
          <a key={href} href={href} aria-current={current(href) ? "page" : undefined}>
            {title}
          </a>
        ))}
      </nav>
      <button class="jump" onClick={() => (jumping.value = true)} aria-label="Jump to a cluster, a bundle or a page">
        <span>Jump to</span>
        <kbd>Ctrl K</kbd>
      </button>
      <div class="tools">
        <Enrol />
        <button class="tool" onClick={toggleTheme} aria-label="Switch between light and dark" title="Switch between light and dark">
          <svg width="14" height="14" viewBox="0 0 14 14" aria-hidden="true">
            <path d="M.5.5h13v13H.5z" fill="none" stroke="currentColor" />
            <path d="M.5 13.5v-13h13z" fill="currentColor" />
          </svg>
        </button>
        <Who />
      </div>
    </header>
  );
}

function Enrol() {
  return useMay("enroll", "clusters") ? (
    <a class="btn" href="/enrol">
      Enrol
    </a>
  ) : null;
}

function Who() {
  const open = useSignal(false);
  if (session.value.state !== "signed in") return null;
  const { actor, roleBindings = [] } = session.value.who;
  const roles = [...new Set(roleBindings.map((b) => b.spec.role))].join(", ") || (actor.includes("/") ? "no role" : "administrator");
  return (
    <Menu open={open} label={`Signed in as ${actor}`} button={actor.replace(/^.*\//, "").slice(0, 2)} buttonClass="tool who" title={actor}>
      <p class="ink m">{actor}</p>
      <p class="dim">{roles}</p>
      {ends.value > 0 && <p class="dim">until {exact(new Date(ends.value).toISOString())}</p>}
      <button class="btn" onClick={() => void signOut()}>
        Sign out
      </button>
    </Menu>
  );
}
