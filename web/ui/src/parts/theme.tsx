// Light, dark, or as the system says.

import { t } from "../i18n/index.ts";
import { theme, type Theme } from "../settings.ts";
import { Icon, type IconName } from "./icons.tsx";

const CHOICES: readonly Theme[] = ["light", "dark", "system"];

export function ThemeSwitch({ name }: { name: string }) {
  return (
    <fieldset class="segments theme-switch">
      <legend class="visually-hidden">{t.theme.label}</legend>
      {CHOICES.map((choice) => (
        <label key={choice} class="segment" title={t.theme[choice]}>
          <input
            type="radio"
            name={name}
            value={choice}
            checked={theme.value === choice}
            onChange={() => {
              theme.value = choice;
            }}
          />
          <Icon name={choice satisfies IconName} />
          <span class="visually-hidden">{t.theme[choice]}</span>
        </label>
      ))}
    </fieldset>
  );
}
