/// The style of what stands on pages.
enum StyleParts {
    static let forms = """
        .button {
          display: inline-flex; align-items: center; justify-content: center; min-height: 38px; padding: .4rem .95rem;
          border: 1px solid var(--edge); border-radius: 6px; background: var(--surface); color: var(--text);
          font: inherit; font-weight: 560; text-decoration: none; cursor: pointer; text-align: center;
        }
        .button:hover { background: var(--raised); color: var(--text); border-color: var(--faint); }
        .button.primary { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
        .button.primary:hover { background: var(--accent-hover); border-color: var(--accent-hover); color: var(--on-accent); }
        .button.dangerous { background: var(--bad); border-color: var(--bad); color: var(--on-bad); }
        .button.dangerous:hover { background: var(--bad-hover); border-color: var(--bad-hover); color: var(--on-bad); }
        .button.dangerous-quiet { color: var(--bad); border-color: var(--bad); }
        .button.dangerous-quiet:hover { background: var(--bad-ground); color: var(--bad); }
        .button.quiet { border-color: transparent; background: none; color: var(--soft); }
        .button.quiet:hover { background: var(--raised); color: var(--text); }
        .person .button.quiet { margin-left: -.95rem; }
        .button.wide { width: 100%; }
        .button:disabled { opacity: .6; cursor: default; }

        .stack { display: grid; gap: 1.15rem; }
        .pair { display: grid; gap: 1.15rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 220px), 1fr)); }
        .field { display: grid; gap: .3rem; min-width: 0; align-content: start; }
        .field label, legend, .label { font-weight: 580; font-size: .93rem; }
        input:not([type=checkbox]):not([type=radio]):not([type=hidden]), select, textarea {
          width: 100%; min-height: 40px; padding: .45rem .7rem; border: 1px solid var(--edge); border-radius: 6px;
          background: var(--surface); color: var(--text); font: inherit; line-height: 1.4;
        }
        textarea { resize: vertical; min-height: 64px; }
        input[type=file] { padding: .35rem .4rem; font-size: .9rem; }
        input[type=file]::file-selector-button {
          font: inherit; border: 1px solid var(--edge); border-radius: 4px; background: var(--raised); color: var(--text);
          padding: .2rem .7rem; margin-right: .7rem;
        }
        input::placeholder { color: var(--faint); opacity: 1; }
        input:focus-visible, select:focus-visible, textarea:focus-visible { outline-offset: 0; border-color: var(--accent); }
        .field.wrong > input, .field.wrong > select, .field.wrong > textarea, [aria-invalid=true] {
          border-color: var(--bad) !important; }
        p.wrong { color: var(--bad); font-size: .87rem; font-weight: 540; }
        .check { grid-template-columns: auto 1fr; gap: .15rem .6rem; align-items: start; }
        .check > p { grid-column: 2; }
        input[type=checkbox], input[type=radio] { width: 18px; height: 18px; margin: .2rem 0 0; accent-color: var(--accent); }
        .with-unit { display: flex; align-items: center; gap: .6rem; }
        .with-unit input { max-width: 12rem; }
        .with-unit span { color: var(--faint); white-space: nowrap; }
        fieldset { border: 0; margin: 0; padding: 0; min-width: 0; display: grid; gap: 1.15rem; }
        legend { padding: 0; margin-bottom: .5rem; }
        fieldset:disabled { opacity: .85; }
        fieldset:disabled .buttons { display: none; }
        .filter { display: flex; flex-wrap: wrap; gap: .75rem; align-items: end; margin-bottom: 1.1rem; }
        .filter .field { flex: 1 1 180px; }
        .filter .field:first-child { flex-grow: 3; }
        .filter .button { min-height: 40px; }

        """

    static let lists = """
        .card {
          background: var(--surface); border: 1px solid var(--line); border-radius: var(--radius); padding: 1.25rem 1.35rem;
          box-shadow: var(--shadow); display: grid; gap: 1rem; min-width: 0;
        }
        .card + .card, .card + .table, .table + .card, .empty + .card, .banner + .card, .banner + form,
        .tiles + *, .grid + * { margin-top: 1.25rem; }
        .card > .note { margin-top: -.7rem; }
        .card.danger { border-color: var(--bad); max-width: 640px; }
        .card:has(> form.stack) { max-width: 720px; }
        .card.wide:has(> form.stack) { max-width: none; }
        .row { display: flex; flex-wrap: wrap; gap: .75rem 1.5rem; align-items: center; justify-content: space-between; }
        .row > p { flex: 1 1 260px; color: var(--soft); }
        .row + .row, form.row + .row { border-top: 1px solid var(--line); padding-top: 1rem; }
        .facts { display: grid; gap: .1rem; }
        .facts > div { display: grid; grid-template-columns: minmax(8rem, 13rem) minmax(0, 1fr); gap: 1rem; padding: .45rem 0;
          border-bottom: 1px solid var(--line); }
        .facts > div:last-child { border: 0; }
        .facts dt { color: var(--faint); }

        .banner { border: 1px solid; border-radius: var(--radius); padding: .75rem 1rem; margin-bottom: 1.1rem; }
        .banner.done { background: var(--good-ground); border-color: var(--good); color: var(--text); }
        .banner.problem { background: var(--bad-ground); border-color: var(--bad); color: var(--text); }
        .banner ul { list-style: disc; padding-left: 1.2rem; font-size: .9rem; margin-top: .3rem; }
        .banner .code { color: var(--soft); white-space: nowrap; }
        .banner a { color: inherit; font-weight: 600; }
        .notice { background: var(--warn-ground); color: var(--text); border-radius: 6px; padding: .6rem .8rem; font-size: .9rem; }
        .secret { display: flex; flex-wrap: wrap; gap: .6rem; margin-top: .6rem; }
        .secret input { flex: 1 1 240px; font-family: var(--mono) !important; font-size: .88rem !important; }

        .empty {
          background: var(--surface); border: 1px dashed var(--edge); border-radius: var(--radius); padding: 2.5rem 1.5rem;
          display: grid; gap: .8rem; justify-items: center; text-align: center;
        }
        .empty > p { max-width: 54ch; color: var(--soft); }
        .empty .buttons { justify-content: center; }
        .empty .banner { text-align: left; margin: 0; }
        .door .empty { border: 0; padding: 0; justify-items: start; text-align: left; }

        .table { width: 100%; border-collapse: separate; border-spacing: 0; background: var(--surface);
          border: 1px solid var(--line); border-radius: var(--radius); box-shadow: var(--shadow); }
        .table th, .table td { padding: .65rem .9rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line);
          font-weight: 400; }
        .table tbody tr:last-child > * { border-bottom: 0; }
        .table thead th { color: var(--faint); font-size: .82rem; font-weight: 580; background: var(--raised); }
        .table thead th:first-child { border-top-left-radius: var(--radius); }
        .table thead th:last-child { border-top-right-radius: var(--radius); }
        .table tbody tr:hover > * { background: var(--raised); }
        .table td, .table thead th { overflow-wrap: normal; }
        .table thead th, .table .tight { white-space: nowrap; }
        .table .content, .table tbody th, .table .long { overflow-wrap: anywhere; }
        .table .name { font-weight: 580; }
        .table .content { font-family: var(--mono); font-size: .86rem; display: -webkit-box; -webkit-box-orient: vertical;
          -webkit-line-clamp: 3; line-clamp: 3; overflow: hidden; }
        .table .type { font-weight: 600; font-size: .86rem; }
        .comment { display: block; color: var(--faint); font-size: .86rem; }
        .table td.number, .table th.number { text-align: right; }
        .table td.actions { white-space: nowrap; text-align: right; }
        .action { display: inline-block; padding: .1rem .3rem; margin-left: .4rem; font-weight: 540; }
        .action.dangerous { color: var(--bad); }
        .badge { display: inline-block; padding: .08rem .55rem; border-radius: 99px; font-size: .82rem; font-weight: 580;
          background: var(--ground); color: var(--soft); white-space: nowrap; }
        .badge.good { background: var(--good-ground); color: var(--good); }
        .badge.warn { background: var(--warn-ground); color: var(--warn); }
        .badge.bad { background: var(--bad-ground); color: var(--bad); }
        .badge.accent { background: var(--accent-ground); color: var(--accent); }
        .pager { display: flex; flex-wrap: wrap; gap: .75rem; justify-content: space-between; align-items: center;
          margin-top: 1rem; color: var(--faint); }
        pre { margin: 0; padding: .8rem 1rem; overflow: auto; max-height: 24rem; background: var(--raised);
          border: 1px solid var(--line); border-radius: 6px; font: .84rem/1.5 var(--mono); white-space: pre-wrap; }
        .table details > summary { white-space: nowrap; cursor: pointer; color: var(--accent); font-weight: 540; }
        .table details pre { margin-top: .5rem; }

        @media (min-width: 720px) {
          .table tbody th { min-width: 11rem; }
          .records tbody th { min-width: 15rem; }
          .audit tbody th { min-width: 0; }
          .records tbody td:not(:nth-child(3)) { white-space: nowrap; }
        }
        @media (max-width: 719px) {
          .table td { overflow-wrap: anywhere; }
          .table, .table tbody, .table tr, .table th, .table td { display: block; }
          .table { border: 0; background: none; box-shadow: none; border-radius: 0; }
          .table thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
          .table tbody { display: grid; gap: .75rem; }
          .table tbody tr { background: var(--surface); border: 1px solid var(--line); border-radius: var(--radius);
            padding: .75rem 1rem; box-shadow: var(--shadow); }
          .table tbody tr:hover > * { background: none; }
          .table th, .table td { border: 0; padding: .2rem 0; }
          .table th[scope=row] { padding-bottom: .35rem; font-size: 1.02rem; }
          .table td[data-label] { display: grid; grid-template-columns: 6.2rem minmax(0, 1fr); gap: .6rem; }
          .table td[data-label]::before { content: attr(data-label); color: var(--faint); font-size: .87rem; }
          .table .tight, .records tbody td { white-space: normal; }
          .table td.actions { text-align: left; border-top: 1px solid var(--line); margin-top: .5rem; padding-top: .55rem; }
          .table td.actions .action { margin: 0 1rem 0 0; padding: .35rem 0; }
          .facts > div { grid-template-columns: minmax(0, 1fr); gap: 0; }
          main > .heading .actions, main > .heading .actions .button { flex: 1 1 auto; }
          .card { padding: 1.1rem 1rem; }
          .empty { padding: 2rem 1rem; }
        }

        """

    static let graphs = """
        .lead { color: var(--soft); max-width: 65ch; margin-bottom: 1rem; }
        .part + .part, .tiles + .part, .tiles + .empty, .empty + .part, .empty + .empty, .table + .part, .part + .card,
        .pager + .part, div + .part, .part + .empty { margin-top: 2rem; }
        .part > .heading { margin-bottom: .75rem; min-height: 38px; }
        .part > .heading + * { margin-top: 0; }
        .tiles { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 200px), 1fr)); }
        .tiles a { display: grid; gap: .15rem; padding: 1rem 1.2rem; background: var(--surface); border: 1px solid var(--line);
          border-radius: var(--radius); box-shadow: var(--shadow); text-decoration: none; color: inherit; height: 100%; }
        .tiles a:hover { border-color: var(--edge); color: inherit; }
        .tiles span { color: var(--faint); font-size: .88rem; }
        .tiles strong { font-size: 1.5rem; line-height: 1.25; letter-spacing: -.015em; }
        .grid { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr)); }
        .graph { background: var(--surface); border: 1px solid var(--line); border-radius: var(--radius);
          padding: 1rem 1.2rem .8rem; box-shadow: var(--shadow); --ink: var(--accent); min-width: 0; }
        .graph.good { --ink: var(--good); } .graph.bad { --ink: var(--bad); } .graph.warn { --ink: var(--warn); }
        .graph figcaption { color: var(--faint); font-size: .88rem; display: grid; gap: .05rem; }
        .graph figcaption strong { color: var(--text); font-size: 1.4rem; line-height: 1.3; letter-spacing: -.015em; }
        .plot { position: relative; margin-top: .1rem; padding-top: 1.3rem; border-bottom: 1px solid var(--line); }
        .plot svg { display: block; width: 100%; height: 120px; overflow: visible; }
        .plot .line { fill: none; stroke: var(--ink); stroke-width: 1.75; vector-effect: non-scaling-stroke;
          stroke-linejoin: round; }
        .plot .area { fill: var(--ink); opacity: .12; }
        .plot .grid { fill: none; stroke: var(--line); stroke-width: 1; vector-effect: non-scaling-stroke; }
        .plot .scale { position: absolute; top: 0; right: 0; font-size: .78rem; color: var(--faint); }
        .times { display: flex; justify-content: space-between; color: var(--faint); font-size: .78rem; padding-top: .25rem; }
        .inline { display: inline; }
        .link { border: 0; background: none; padding: .1rem .3rem; font: inherit; font-weight: 540; color: var(--accent);
          text-decoration: underline; text-underline-offset: .18em; cursor: pointer; }
        .link.dangerous { color: var(--bad); }
        .tags { display: flex; flex-wrap: wrap; gap: .35rem; }
        .policy { display: grid; gap: .5rem; }
        .policy + .policy { border-top: 1px solid var(--line); padding-top: 1rem; }
        .levels { gap: .5rem; }
        .level { display: flex; flex-wrap: wrap; gap: .3rem 1rem; align-items: center; justify-content: space-between; }
        .level label { flex: 1 1 180px; }
        .level select { width: auto; flex: 0 1 190px; min-height: 36px; }

        """
}
