import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { follow } from "./api/live";
import { awaited, useQuery } from "./api/query";
import { arrive, session, whoAmI } from "./api/session";
import type { Hub } from "./api/answers";
import { Ending } from "./frame/Ending";
import { Foot } from "./frame/Foot";
import { Frozen } from "./frame/Frozen";
import { Jump } from "./frame/Jump";
import { Keys } from "./frame/Keys";
import { Lost } from "./frame/Lost";
import { Top } from "./frame/Top";
import { param, place } from "./location";
import { Problem } from "./parts/Note";
import { screenOf } from "./screens";
import { SignIn } from "./screens/SignIn";

/** App is the sign-in, or a page for those who are signed in. */
export function App() {
  useEffect(() => void arrive(), []);
  const { value } = session;
  switch (value.state) {
    case "unknown":
      return null;
    case "none":
      return <SignIn why={value.why} />;
    case "failed":
      return (
        <main class="signin" id="main">
          <span class="lockup">Yardarm</span>
          <Problem failure={value.failure} />
          <button class="btn" onClick={() => void whoAmI()}>
            Try again
          </button>
        </main>
      );
    case "signed in":
      return <Page />;
  }
}

/**
 * Screen is what there is at a path. It is no part of main itself: an element keeps what it was given until it is given anew, and of a screen that changes by itself, that would be
 * how it once was, which leads, by the parents of all parts that stay the same, through everything that it has been since then.
 */
const Screen = ({ path }: { path: string }) => screenOf(path);

function Page() {
  const { path } = place.value;
  const map = path === "/";
  const filter = map ? param("filter") : "";
  useEffect(() => follow({ cells: map, filter }), [map, filter]);
  const hub = useQuery<Hub>("/v1/hub");
  const main = useRef<HTMLElement>(null);
  const before = useRef(path);
  // As after a load: the next key, and a screen reader, begin with what is new.
  useLayoutEffect(() => {
    if (before.current !== path) main.current?.focus({ preventScroll: true });
    before.current = path;
  }, [path]);
  return (
    <>
      <a class="skip" href="#main" onClick={(e) => (e.preventDefault(), main.current?.focus())}>
        Skip to content
      </a>
      <Top hub={hub.data} />
      {/* It is there before what it tells of, or nobody would hear that. */}
      <div role="status">
        <Lost />
        <Ending />
        {hub.data?.readOnly && (
          <p class="lost">
            <i class="fl paused" />
            <b>The hub takes no changes.</b> {hub.data.readOnly}
          </p>
        )}
      </div>
      <Frozen />
      <main class="page" id="main" key={path} ref={main} tabIndex={-1} aria-busy={awaited.value > 0}>
        <Screen path={path} />
      </main>
      <Foot />
      <Jump />
      <Keys />
    </>
  );
}
