"""The section [task]: what is to be learnt, and what its samples become before they are shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import MinLen
from pydantic import Field, model_validator

from nepfield.learning.digits import OPENML, TASKS
from nepfield.learning.preparation import STANDARDISED, prepared
from nepfield.learning.task_files import load_task
from nepfield.learning.tasks import Task
from nepfield.study.text.kinds import check_one
from nepfield.study.text.paths import File, folder_or
from nepfield.study.text.sections import known
from nepfield.study.text.values import (
    AtLeastOne,
    Count,
    Flag,
    ImageSize,
    Levels,
    Rows,
    Section,
    Share,
)

FolderOrWord = Annotated[str | Path, folder_or(OPENML)]


class TaskConfig(Section):
    """What is to be learnt: a named task, a data file, or the numbers themselves."""

    name: Annotated[str | None, known(TASKS)] = Field(default=None, description="built-in task")
    source: FolderOrWord | None = Field(
        default=None,
        description="of mnist: absent: the 10,000 images in the package; a folder with the four"
        ' IDX files of all 70,000; "openml": fetched by scikit-learn',
    )
    file: File | None = Field(
        default=None,
        description="NumPy .npz file with arrays inputs and targets (or labels), or .csv file with"
        " columns label or target..., set, and inputs",
    )
    inputs: Rows | None = Field(default=None, description="a row of inputs a sample, [[..], ..]")
    targets: Rows | None = Field(default=None, description="a row of targets a sample, [[..], ..]")
    classes: Annotated[tuple[Count, ...], MinLen(2)] | None = Field(
        default=None, description="the classes that are kept, in the order of the outputs"
    )
    image: ImageSize | None = Field(
        default=None,
        description="rows and columns of the images that the inputs are; named tasks know theirs",
    )
    resize: ImageSize | None = Field(
        default=None,
        description="rows and columns that images get, each pixel the mean over its area",
    )
    pca: AtLeastOne | None = Field(
        default=None,
        description="so many principal components of the training inputs become the inputs",
    )
    standardise: Annotated[str, known(dict.fromkeys(STANDARDISED))] | None = Field(
        default=None,
        description="(x - mean) / deviation, of the training inputs: of all of them together or of"
        " each",
    )
    input_levels: Levels | None = Field(
        default=None, description="what 0 and 1 become among the inputs, and others in proportion"
    )
    target_levels: Levels | None = Field(
        default=None, description="what 0 and 1 become among the targets, and others in proportion"
    )
    validation: Share | None = Field(
        default=None, description="share of the samples that is kept for validation"
    )
    test: Share | None = Field(
        default=None, description="share of the samples that is kept for the test"
    )
    train_with_validation: Flag | None = Field(
        default=None,
        description="true: train on the validation samples too, once all is chosen by them",
    )
    train_per_class: AtLeastOne | None = Field(
        default=None,
        description="so many samples a class, the first ones, to train on (digits8, mnist)",
    )
    test_per_class: AtLeastOne | None = Field(
        default=None,
        description="so many samples a class, the next ones, to test on (digits8, mnist)",
    )

    @model_validator(mode="after")
    def _check(self) -> TaskConfig:
        keys = ["name", "file", "inputs"]
        check_one(keys, [key for key in keys if getattr(self, key) is not None])
        if (self.inputs is None) != (self.targets is None):
            raise ValueError("inputs and targets go together; name and file take neither")
        for key, rows in (("inputs", self.inputs), ("targets", self.targets)):
            lengths = {len(row) for row in rows or ()}
            if rows is not None and (len(lengths) != 1 or 0 in lengths):
                raise ValueError(f"{key} needs rows of one length, at least one row and one number")
        if self.inputs and self.targets and len(self.inputs) != len(self.targets):
            raise ValueError(
                f"{len(self.inputs)} rows of inputs but {len(self.targets)} of targets"
            )
        for key in ("train_per_class", "test_per_class"):
            if getattr(self, key) is not None and self.name not in ("digits8", "mnist"):
                raise ValueError(f'{key} goes with name = "digits8" or "mnist"')
        if self.source is not None and self.name != "mnist":
            raise ValueError('source goes with name = "mnist"')
        if self.image is not None and self.name is not None:
            raise ValueError("image goes with file or inputs; named tasks know theirs")
        if self.input_levels is not None and self.standardise is not None:
            raise ValueError("input_levels and standardise exclude each other: leave one out")
        return self

    def build(self, seed: int) -> Task:
        """The task; `seed` decides which samples are kept for validation and test."""
        task = self._loaded()
        if self.classes is not None:
            task = task.with_classes(self.classes)
        if self.validation or self.test:
            task = task.split(self.validation or 0.0, self.test or 0.0, seed)
        if self.train_with_validation:
            task = task.joined()
        if self.input_levels is not None or self.target_levels is not None:
            task = task.with_levels(self.input_levels, self.target_levels)
        return prepared(task, self.resize, self.pca, self.standardise)

    def _loaded(self) -> Task:
        if self.file is not None:
            task = load_task(self.file)
        elif self.inputs is not None and self.targets is not None:
            task = Task(np.array(self.inputs), np.array(self.targets))
        else:
            keys = ("source", "train_per_class", "test_per_class")
            given = {key: getattr(self, key) for key in keys if getattr(self, key) is not None}
            return TASKS[str(self.name)](**given)
        return task if self.image is None else replace(task, image=self.image)
