// The gateway in one line: grey if all is well.

import type { ComponentChildren } from "preact";
import { t } from "../i18n/index.ts";
import { count } from "../lib/format.ts";
import type { Status } from "../lib/types.ts";
import { DeviceShape } from "./icons.tsx";

function Item({ fine, href, children }: { fine: boolean; href?: string; children: ComponentChildren }) {
  const inner = (
    <>
      <DeviceShape status={fine ? "good" : "out-of-spec"} />
      {children}
    </>
  );
  const name = fine ? "strip-item" : "strip-item strip-warn";
  return <li>{href ? <a class={name} href={href}>{inner}</a> : <span class={name}>{inner}</span>}</li>;
}

function uplinkText(status: Status): string {
  const waiting = count(status.uplink.backlog);
  if (status.uplinks.length === 0) return t.strip.noUplink;
  if (!status.uplink.connected) return t.strip.uplinkDown(waiting);
  return status.uplink.backlog > 0 ? t.strip.uplinkBacklog(waiting) : t.strip.uplinkOk;
}

export function StatusStrip({ status }: { status: Status | null }) {
  if (!status) return <div class="strip strip-empty" />;
  const up = status.connectors.filter(({ state }) => state === "connected").length;
  const all = status.connectors.length;
  return (
    <ul class="strip" aria-label={t.strip.label}>
      <Item fine={up === all} href="/connectors">
        {all === 0 ? t.strip.noConnectors : t.strip.connectors(up, all)}
      </Item>
      <Item fine={status.uplinks.length === 0 || status.uplink.connected} href="/uplink">
        {uplinkText(status)}
      </Item>
      <Item fine={status.store.healthy}>{status.store.healthy ? t.strip.storeOk : t.strip.storeBad}</Item>
      {status.state !== "ok" && <li class="strip-message">{status.message}</li>}
    </ul>
  );
}
