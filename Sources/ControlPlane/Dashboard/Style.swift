// The dashboard's only style sheet, in three parts: the palette and the frame here, forms and tables beside.

enum Style {
    static let text = palette + frame + StyleParts.forms + StyleParts.lists + StyleParts.graphs + narrow

    /// Two palettes. Every text on its ground has a contrast of at least 4.5 to 1 (WCAG 2.2, 1.4.3), every border of a
    /// control one of 3 to 1 (1.4.11).
    private static let palette = """
        :root {
          color-scheme: light dark;
          --ground: #f5f6f8; --surface: #ffffff; --raised: #f9fafb; --line: #dfe3e9; --edge: #838d9b;
          --text: #18202b; --soft: #434e5c; --faint: #5a6573;
          --accent: #17509e; --accent-hover: #113f7e; --on-accent: #ffffff; --accent-ground: #e7effa;
          --good: #14633a; --good-ground: #e2f3e9; --warn: #7a4a00; --warn-ground: #fcf0d8;
          --bad: #a8201a; --bad-hover: #871510; --on-bad: #ffffff; --bad-ground: #fdecea;
          --shadow: 0 1px 2px rgb(24 32 43 / 6%);
          --radius: 8px;
          --sans: Inter, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
          --mono: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "Liberation Mono", monospace;
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --ground: #0e1318; --surface: #161c23; --raised: #1b222b; --line: #2a333e; --edge: #6f7c8b;
            --text: #e7ecf2; --soft: #bcc6d1; --faint: #98a4b2;
            --accent: #7fb2ff; --accent-hover: #a5c9ff; --on-accent: #0b1a2e; --accent-ground: #172a44;
            --good: #79d4a0; --good-ground: #123024; --warn: #f0c274; --warn-ground: #35280f;
            --bad: #ff9d94; --bad-hover: #ffb9b2; --on-bad: #35100d; --bad-ground: #3a1a18;
            --shadow: none;
          }
        }

        """

    private static let frame = """
        *, *::before, *::after { box-sizing: border-box; }
        html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
        body {
          margin: 0; min-height: 100vh; background: var(--ground); color: var(--text);
          font: 15px/1.55 var(--sans); font-feature-settings: "tnum", "cv11"; overflow-wrap: anywhere;
          display: grid; grid-template: "top" auto "main" 1fr / minmax(0, 1fr);
        }
        h1, h2, h3, p, ul, ol, dl, dd, figure { margin: 0; padding: 0; }
        h1 { font-size: 1.6rem; line-height: 1.25; font-weight: 650; letter-spacing: -.015em; }
        h2 { font-size: 1.02rem; line-height: 1.4; font-weight: 620; }
        h3 { font-size: .93rem; font-weight: 600; }
        ul, ol { list-style: none; }
        a { color: var(--accent); text-decoration-thickness: 1px; text-underline-offset: .18em; }
        a:hover { color: var(--accent-hover); }
        code, .code, textarea.code { font-family: var(--mono); font-size: .88em; }
        code { background: var(--raised); border: 1px solid var(--line); border-radius: 4px; padding: .05em .35em; }
        strong { font-weight: 620; }
        th, td, dd, code, h1, .name, .content, .crumbs a { unicode-bidi: isolate; }
        :focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
        #content:focus { outline: none; }
        [hidden] { display: none !important; }
        .unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
        .faint { color: var(--faint); }
        .hint, .note { color: var(--faint); font-size: .87rem; line-height: 1.45; }
        .skip { position: absolute; left: -999px; top: 8px; z-index: 2; }
        .skip:focus { left: 8px; background: var(--surface); padding: .5rem .9rem; }

        .top {
          grid-area: top; display: flex; align-items: center; justify-content: space-between; gap: 1rem; flex-wrap: wrap;
          padding: .5rem 1rem; background: var(--surface); border-bottom: 1px solid var(--line);
        }
        .brand { display: inline-flex; align-items: center; gap: .55rem; color: var(--text); text-decoration: none;
          font-weight: 680; font-size: 1.06rem; letter-spacing: -.01em; min-height: 40px; }
        .brand:hover { color: var(--text); }
        .mark { width: 28px; height: 28px; fill: var(--accent); flex: none; }
        .side { display: none; }
        .menu > summary {
          list-style: none; cursor: pointer; padding: .4rem .85rem; border: 1px solid var(--edge); border-radius: 6px;
          font-weight: 560; min-height: 38px;
        }
        .menu > summary::-webkit-details-marker { display: none; }
        .menu[open] { flex-basis: 100%; order: 2; }
        .menu[open] > summary { display: inline-block; }
        .menu nav { padding: .75rem 0 .25rem; }
        .places a {
          display: block; padding: .48rem .75rem; border-radius: 6px; color: var(--soft); text-decoration: none;
          font-weight: 520;
        }
        .places a:hover { background: var(--raised); color: var(--text); }
        .places a[aria-current] { background: var(--accent-ground); color: var(--accent); font-weight: 620; }
        .person { margin-top: 1rem; padding: 1rem .75rem 0; border-top: 1px solid var(--line); font-size: .87rem; }
        .person p { color: var(--faint); margin-bottom: .6rem; }
        .person .account { display: block; color: var(--text); font-weight: 600; }

        main { grid-area: main; padding: 1.5rem 1rem 4rem; width: 100%; max-width: 1080px; min-width: 0; }
        .crumbs { margin-bottom: .35rem; }
        .crumbs ol { display: flex; flex-wrap: wrap; font-size: .87rem; }
        .crumbs li:not(:last-child)::after { content: "/"; color: var(--faint); margin: 0 .5rem; }
        .crumbs a { color: var(--faint); text-decoration: none; }
        .crumbs a:hover { color: var(--accent); text-decoration: underline; }
        .heading { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: .75rem 1rem; }
        .heading h1 { min-width: 0; }
        .heading .actions, .buttons { display: flex; flex-wrap: wrap; gap: .6rem; align-items: center; }
        .heading .actions:empty { display: none; }
        .heading + * { margin-top: 1.25rem; }
        .tabs { border-bottom: 1px solid var(--line); }
        .heading + .tabs { margin-top: .9rem; }
        .tabs + * { margin-top: 1.25rem; }
        .tabs ul { display: flex; flex-wrap: wrap; gap: 0 .2rem; }
        .tabs a {
          display: block; padding: .55rem .7rem; color: var(--soft); text-decoration: none; font-weight: 540;
          border-bottom: 2px solid transparent; margin-bottom: -1px;
        }
        .tabs a:hover { color: var(--text); border-color: var(--edge); }
        .tabs a[aria-current] { color: var(--accent); border-color: var(--accent); font-weight: 620; }

        .bare { grid-row: 1 / -1; display: grid; place-items: center; padding: 1.5rem 1rem; max-width: none; }
        .door {
          width: 100%; max-width: 400px; background: var(--surface); border: 1px solid var(--line); border-radius: 12px;
          padding: 2rem 1.75rem; display: grid; gap: 1rem; box-shadow: var(--shadow);
        }
        .door .mark { width: 40px; height: 40px; }
        .door h1 { font-size: 1.35rem; }

        """

    private static let narrow = """
        @media (min-width: 900px) {
          body { grid-template: "side main" 1fr / 232px minmax(0, 1fr); }
          body:has(> .bare) { grid-template: "main" 1fr / minmax(0, 1fr); }
          .top { grid-area: side; align-self: start; border: 0; background: none; padding: 1.25rem 1.5rem; position: sticky;
            top: 0; }
          .menu { display: none; }
          .side {
            grid-area: side; display: flex; flex-direction: column; justify-content: space-between; position: sticky; top: 0;
            height: 100vh; overflow-y: auto; padding: 5rem .75rem 1.25rem; background: var(--surface);
            border-right: 1px solid var(--line);
          }
          .top { z-index: 1; }
          main { padding: 2.25rem 2.5rem 5rem; }
          main.bare { padding: 2rem; }
        }
        @media (prefers-reduced-motion: no-preference) {
          .button, .places a, .tabs a, input, select, textarea { transition: background-color .12s, border-color .12s, color .12s; }
        }
        @media (forced-colors: active) {
          .places a[aria-current], .tabs a[aria-current] { outline: 1px solid; }
          .badge { border: 1px solid; }
        }

        """
}
