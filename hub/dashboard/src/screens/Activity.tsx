import { param, setParam } from "../location";
import { useCommand } from "../parts/command";
import { Events } from "../parts/Events";
import { Filter } from "../parts/Filter";
import { Notifications } from "./Notifications";

/** How many events are shown. */
const tail = 200;

/** Activity is what has happened, and who did it. */
export function Activity() {
  const filter = param("filter");
  useCommand("events --watch", "Activity");
  return (
    <>
      <div class="head">
        <h1>Activity</h1>
        <div class="act">
          <div class="seg-ctl" role="group" aria-label="Which events">
            <button aria-pressed={filter === ""} onClick={() => setParam("filter", "")}>
              All
            </button>
            <button aria-pressed={filter === "type=Warning"} onClick={() => setParam("filter", "type=Warning")}>
              Warnings
            </button>
          </div>
        </div>
      </div>
      <Notifications />
      <section class="hung" aria-label="Events">
        <div class="above">
          <Filter filter={filter} hint="Filter: reason=Bundle*, cluster=edge-1, bundle=web, actor=token/ci" bare="message" />
        </div>
        <Events filter={filter} tail={tail} />
      </section>
    </>
  );
}
