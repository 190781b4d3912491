// SPDX-License-Identifier: Apache-2.0
// What a page needs of a time chart. The drawing library stays behind this border (uplot.ts).

export interface PlotSeries {
  label: string;
  values: (number | null)[];
  color: string;
  dashed: boolean;
}

export interface PlotData {
  times: number[]; // seconds, ascending; one per value of each series
  series: PlotSeries[];
}

export interface PlotCursor {
  index: number; // into times
  x: number; // px from the left of the chart
  y: number;
  near: number; // index of the series under the pointer, or -1
}

export interface PlotOptions {
  from: number; // seconds: the ends of the time axis, data or none
  to: number;
  utc: boolean;
  stacked: boolean;
  min: number | null; // lower end of the value axis; null: as the data has it
  shown: boolean[]; // per series
  width: number;
  height: number;
}

export interface PlotEvents {
  /** A range was dragged, panned or wheeled to. */
  range: (from: number, to: number) => void;
  back: () => void; // double click
  cursor: (at: PlotCursor | null) => void;
  pin: () => void; // click without a drag
}

export interface Plot {
  draw: (data: PlotData, options: PlotOptions) => void;
  size: (width: number, height: number) => void;
  /** Dims all series but this; -1 lights all again. */
  focus: (series: number) => void;
  destroy: () => void;
}

export type MakePlot = (host: HTMLElement, events: PlotEvents) => Plot;
