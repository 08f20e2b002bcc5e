"""A width chosen by scikit-learn's own grid search: pip install 'vecpress[sklearn]'."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from vecpress.adapters import PressTransformer

rng = np.random.default_rng(0)
subjects = rng.normal(size=(5, 128))
labels = rng.integers(5, size=400)
vectors = subjects[labels] + 3 * rng.normal(size=(400, 128))

classifier = make_pipeline(PressTransformer(bits=2, output="decoded"), LogisticRegression())
widths = {"presstransformer__dim": [2, 8, 64]}
search = GridSearchCV(classifier, widths, cv=3).fit(vectors, labels)
for width, score in zip([2, 8, 64], search.cv_results_["mean_test_score"], strict=True):
    print(f"{width} dimensions of 2 bits: {100 * score:.0f} % right")

best = search.best_estimator_["presstransformer"]
best.pipeline_.save("press")  # the press that `vecpress` and `Pipeline.load` know
print(best.set_params(output="codes").transform(vectors[:3]))
