// Gateway state, plant clock, active alarms, pages, colours.

import { t } from "../i18n/index.ts";
import { clock, count, date, speed, zone } from "../lib/format.ts";
import type { GatewayState } from "../lib/types.ts";
import { route } from "../router.ts";
import { isLive, live, setStopped, stopped } from "../stream.ts";
import { Time } from "./common.tsx";
import { DeviceShape, Icon, Mark, StateShape, type IconName } from "./icons.tsx";
import { ThemeSwitch } from "./theme.tsx";

const PAGES = [
  { page: "overview", href: "/", icon: "overview" },
  { page: "alarms", href: "/alarms", icon: "alarms" },
  { page: "connectors", href: "/connectors", icon: "connectors" },
  { page: "uplink", href: "/uplink", icon: "uplink" },
] as const satisfies readonly { page: string; href: string; icon: IconName }[];

export function NavLinks() {
  const { page } = route.value;
  const here = page === "connector" ? "connectors" : page;
  const { alarmsActive } = live.value;
  return (
    <ul class="nav-links">
      {PAGES.map(({ page, href, icon }) => (
        <li key={page}>
          <a href={href} aria-current={here === page ? "page" : undefined}>
            <span class="nav-icon">
              <Icon name={icon} />
              {page === "alarms" && alarmsActive > 0 && <span class="count">{count(alarmsActive)}</span>}
            </span>
            {t.nav[page]}
          </a>
        </li>
      ))}
    </ul>
  );
}

function GatewayShape({ state }: { state: GatewayState }) {
  if (state === "attention") return <DeviceShape status="out-of-spec" />;
  if (state === "learning") return <StateShape state="learning" />;
  return <DeviceShape status="good" />;
}

function Gateway() {
  const { status } = live.value;
  if (!status) return null;
  return (
    <span class={`gateway gateway-${status.state}`} title={status.message}>
      <span class="visually-hidden">{t.gateway.label}: </span>
      <GatewayShape state={status.state} />
      <span class="gateway-word">{t.gateway.states[status.state]}</span>
    </span>
  );
}

function Clock() {
  const { at, status } = live.value;
  if (at === null) return null;
  const demo = status !== null && status.speed !== 1;
  return (
    <div class={isLive.value ? "clock" : "clock clock-old"}>
      <Time at={at}>
        <span class="clock-time">{clock(at)}</span>
      </Time>
      <span class="clock-note">{demo ? t.gateway.demoClock(speed(status.speed)) : `${date(at)} ${zone(at)}`}</span>
    </div>
  );
}

function PauseButton() {
  const label = stopped.value ? t.live.resumeLong : t.live.pause;
  return (
    <button type="button" class="icon-button" aria-label={label} title={label} onClick={() => setStopped(!stopped.peek())}>
      <Icon name={stopped.value ? "play" : "pause"} />
    </button>
  );
}

export function Header() {
  const { status, alarmsActive } = live.value;
  return (
    <header class="top">
      <a class="brand" href="/">
        <Mark />
        <span class="brand-text">
          <span class="brand-name">{t.app.name}</span>
          <span class="brand-device">{status?.device ?? ""}</span>
        </span>
      </a>
      <nav class="top-nav" aria-label={t.nav.label}>
        <NavLinks />
      </nav>
      <div class="top-end">
        <span class="visually-hidden" role="status">
          {live.value.at === null ? "" : t.gateway.alarms(alarmsActive)}
        </span>
        <Gateway />
        <Clock />
        <PauseButton />
        <ThemeSwitch name="theme-top" />
      </div>
    </header>
  );
}
