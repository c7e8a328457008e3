// The shell: header, pages, bottom bar. Everything that is the same on every page.

import { Component, type ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { t } from "./i18n/index.ts";
import { Header, NavLinks } from "./parts/header.tsx";
import { LiveBanner } from "./parts/banner.tsx";
import { Footer } from "./parts/footer.tsx";
import { Toasts } from "./parts/toast.tsx";
import type { Route } from "./lib/view.ts";
import { followLinks, route } from "./router.ts";
import { AlarmsPage } from "./routes/alarms.tsx";
import { AssetPage } from "./routes/asset.tsx";
import { ConnectorPage } from "./routes/connector.tsx";
import { ConnectorsPage } from "./routes/connectors.tsx";
import { MissingPage } from "./routes/missing.tsx";
import { OverviewPage } from "./routes/overview.tsx";
import { UplinkPage } from "./routes/uplink.tsx";
import { isLive, live } from "./stream.ts";

/** A page that fails to draw says so; header and stream carry on. */
class Guard extends Component<{ children: ComponentChildren }, { error: string | null }> {
  override state = { error: null };

  static override getDerivedStateFromError(error: unknown) {
    return { error: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
  }

  override render() {
    if (this.state.error === null) return this.props.children;
    return (
      <div class="problem" role="alert">
        <div>
          <p class="problem-title">{t.app.failed}</p>
          <p>{t.app.failedHint}</p>
          <p>
            <code>{this.state.error}</code>
          </p>
        </div>
        <button type="button" class="button" onClick={() => location.reload()}>
          {t.app.reload}
        </button>
      </div>
    );
  }
}

function Page() {
  const at = route.value;
  switch (at.page) {
    case "overview":
      return <OverviewPage />;
    case "asset":
      return <AssetPage key={at.id} id={at.id} />;
    case "alarms":
      return <AlarmsPage key={at.tab} tab={at.tab} />;
    case "connectors":
      return <ConnectorsPage />;
    case "connector":
      return <ConnectorPage key={at.name} name={at.name} />;
    case "uplink":
      return <UplinkPage />;
    case "missing":
      return <MissingPage path={at.path} />;
  }
}

function titleOf(at: Route): string {
  if (at.page === "asset") return at.id.split(".").at(-1) ?? "";
  if (at.page === "connector") return at.name;
  return at.page === "missing" ? "" : t.nav[at.page];
}

/** The tab's title tells what waits, so that it can be seen from another tab. */
function useTitle() {
  const { alarmsActive, status } = live.value;
  const at = route.value;
  useEffect(() => {
    const name = titleOf(at);
    const waiting = alarmsActive > 0 ? `(${alarmsActive}) ` : "";
    document.title = `${waiting}${name ? `${name} · ` : ""}${status?.device ?? t.app.name}`;
  }, [at, alarmsActive, status?.device]);
}

export function App() {
  const main = useRef<HTMLElement>(null);
  const at = route.value;
  const first = useRef(true);
  const place = at.page === "asset" ? at.id : at.page === "connector" ? `connector ${at.name}` : at.page;
  useTitle();
  // After a change of page the keyboard continues in the new page, not in the old link.
  useEffect(() => {
    if (first.current) first.current = false;
    else main.current?.focus({ preventScroll: true });
  }, [place]);
  return (
    <div class={isLive.value || live.value.at === null ? "app" : "app app-old"} onClick={followLinks}>
      <a class="skip" href="#main" onClick={(event) => (event.preventDefault(), main.current?.focus())}>
        {t.app.skip}
      </a>
      <Header />
      <LiveBanner />
      <main id="main" ref={main} tabIndex={-1}>
        <Guard key={place}>
          <Page />
        </Guard>
      </main>
      <Footer />
      <nav class="bottom-bar" aria-label={t.nav.label}>
        <NavLinks />
      </nav>
      <Toasts />
    </div>
  );
}
