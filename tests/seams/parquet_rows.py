"""Rows of a Parquet file, a batch in memory at a time: a source of the tests' own."""

import pyarrow.parquet

from sklae._tables.sources import RowSource


class ParquetRows(RowSource):
    def __init__(self, path, batch_size=50):
        self.path = path
        self.batch_size = batch_size

    def __len__(self):
        return pyarrow.parquet.read_metadata(self.path).num_rows

    def chunks(self):
        with pyarrow.parquet.ParquetFile(self.path) as file:
            for batch in file.iter_batches(self.batch_size):
                yield batch.to_pandas()
